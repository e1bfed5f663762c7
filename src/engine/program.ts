/** This program, to be started once more. */

/** The hidden verb of the process that keeps services running. */
export const KEEP_VERB = '__keep'

/** The executable alone, or a runtime with the program's script; also where a user of the library is the script. */
export function ownProgram(): string[] {
  // what a compiled executable holds has paths of its own
  if (import.meta.url.includes('/$bunfs/')) return [process.execPath]
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return [process.execPath, `${import.meta.dirname}/../cli/main.${ending}`]
}
