import { homedir } from 'node:os'
import { run } from './run.ts'

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const

process.exitCode = await run({
  args: process.argv.slice(2),
  env: process.env,
  home: homedir(),
  cwd: process.cwd(),
  pid: process.pid,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  now: () => Date.now(),
  onStop: listener => {
    for (const signal of STOP_SIGNALS) process.on(signal, listener)
    return () => {
      for (const signal of STOP_SIGNALS) process.off(signal, listener)
    }
  },
  exit: code => process.exit(code),
})
