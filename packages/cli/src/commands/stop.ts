import { isAlive, readLock } from '@cairn/node/lock'
import { CairnError } from '@cairn/protocol'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

/** Between looks whether the process has gone, ms, and how often. */
const POLL_MS = 100
const POLLS_MAX = 600

export function stopCommand({ program, action }: Commands): void {
  program
    .command('stop')
    .description('stop the daemon of this data directory and wait until it has')
    .action(
      action(async session => {
        const { values } = await session.config()
        const lock = await readLock(values.dataDir)
        if (lock?.stopWith !== undefined) {
          throw new CairnError('sharedProcess', `process ${lock.pid} runs other nodes too`, {
            facts: { pid: lock.pid, dataDir: values.dataDir },
            next: `stop this one with \`${lock.stopWith}\``,
          })
        }
        const api = await session.api()
        await api.json('/v1/stop', { method: 'POST' })
        if (lock !== undefined) await waitForEnd(session, lock.pid)
        session.output.result({ stopped: true, pid: lock?.pid }, 'stopped')
        return undefined
      }),
    )
}

async function waitForEnd({ signal }: Session, pid: number): Promise<void> {
  for (let i = 0; i < POLLS_MAX; i++) {
    if (!isAlive(pid)) return
    signal.throwIfAborted()
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
  throw new CairnError('stillRunning', `process ${pid} has not ended in a minute`, {
    facts: { pid },
    next: 'its log says what it waits for',
  })
}
