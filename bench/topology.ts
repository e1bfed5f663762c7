/** The network that all peers build, as a topology: N namespaces on one bridge of the host. */

/** The same names, addresses and routes as bench/peers/tutorial_up.sh gives. */
export function hostsOnABridge(count: number): object {
  const numbers = Array.from({ length: count }, (_, index) => index + 1)
  const address = (i: number): string => `10.50.${Math.floor(i / 250)}.${(i % 250) + 2}/16`
  return {
    name: `bench${count}`,
    isolated: false,
    bridges: { br0: { addresses: '10.50.0.1/16' } },
    host: { interfaces: Object.fromEntries(numbers.map((i) => [`v${i}`, { bridge: 'br0' }])) },
    namespaces: Object.fromEntries(
      numbers.map((i) => [
        `n${i}`,
        {
          interfaces: { [`p${i}`]: { addresses: address(i) } },
          routes: [{ to: 'default', via: '10.50.0.1' }],
        },
      ]),
    ),
    links: numbers.map((i) => [`host:v${i}`, `n${i}:p${i}`]),
  }
}
