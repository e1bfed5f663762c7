/** Where the kernel calls base chains. Pure. */
import { CompileError } from './datatypes.ts'
import type { Chain, Hook } from './objects.ts'

/** NF_INET_*, and NF_NETDEV_* for the netdev family; linux/netfilter.h. Ingress of inet is 5. */
const hookNumbers: Readonly<Record<Hook, number>> = {
  prerouting: 0,
  input: 1,
  forward: 2,
  output: 3,
  postrouting: 4,
  ingress: 5,
  egress: 6,
}
const netdevHooks: Partial<Record<Hook, number>> = { ingress: 0, egress: 1 }
const arpHooks: Partial<Record<Hook, number>> = { input: 0, output: 1, forward: 2 }

export function hookNumber(chain: Pick<Chain, 'family'>, hook: Hook): number {
  const number =
    chain.family === 'netdev' ? netdevHooks[hook] : chain.family === 'arp' ? arpHooks[hook] : hookNumbers[hook]
  if (number === undefined) throw new CompileError(`no hook ${hook} in family ${chain.family}`)
  return number
}

export function hookName(family: Chain['family'], number: number): Hook | undefined {
  const table = family === 'netdev' ? netdevHooks : family === 'arp' ? arpHooks : hookNumbers
  return (Object.keys(table) as Hook[]).find((name) => table[name] === number)
}
