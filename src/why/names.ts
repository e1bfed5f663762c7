/** Names of namespaces, as `exec` takes them, and how a command is run inside one. */
import { EngineError } from '../engine/errors.ts'
import { findNamespace } from '../engine/exec.ts'
import { openHandles } from '../engine/handles.ts'
import { readNetnsMark } from '../engine/observe.ts'
import { isolatedHost } from '../plan/marks.ts'
import { HOST } from '../plan/state.ts'

const HOST_ENDING = isolatedHost('')

/** The name of a file under /run/netns: `TOPOLOGY/host` where that is the host of an isolated topology. */
export function nameOfNetns(file: string): string {
  if (!file.endsWith(HOST_ENDING)) return file
  using handles = openHandles()
  const mark = readNetnsMark(handles, file)
  return mark?.namespace === HOST ? `${mark.topology}/${HOST}` : file
}

/** The file of `TOPOLOGY/NAME`, or `host` where that is this machine itself; undefined when there is none. */
export function netnsOf(name: string): string | undefined {
  try {
    return findNamespace(name).netns ?? HOST
  } catch (error) {
    if (error instanceof EngineError) return undefined
    throw error
  }
}

/** Lines of sh that run each line of `commands` inside the namespace. Comments stay comments. */
export function inside(name: string, commands: string): string {
  const enter =
    name === HOST
      ? ''
      : /^\d+$/.test(name)
        ? `nsenter --net --target ${name} -- `
        : name.startsWith('/')
          ? `nsenter --net=${name} -- `
          : `hardway exec ${name} -- `
  return commands
    .split('\n')
    .map((line) => (line.startsWith('#') ? line : `${enter}${line}`))
    .join('\n')
}
