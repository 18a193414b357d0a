import type { Readable, Writable } from 'node:stream'

/** What a command needs of the process around it. Only `main.ts` reads the process itself. */
export interface World {
  /** Arguments after the program's name. */
  args: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  home: string
  cwd: string
  pid: number
  stdin: Readable
  stdout: Writable & { isTTY?: boolean }
  stderr: Writable & { isTTY?: boolean }
  /** Ms since 1970. */
  now(): number
  /** Calls at each request to stop: Ctrl-C and SIGTERM. Returns how to unsubscribe. */
  onStop(listener: () => void): () => void
  /** Ends the process at once. */
  exit(code: number): never
}
