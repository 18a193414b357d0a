import type { Store } from '@cairn/node'
import type { Rpc } from '../../src/chain/rpc.ts'

/** What reaches a disk or an endpoint. */
const STEPS: ReadonlySet<string | symbol> = new Set(['batch', 'call', 'spread'])

/** Before and after everything that is asked of it there is a step at which its user can die. */
export function killable<T extends Store | Rpc>(part: T, step: () => void): T {
  return new Proxy(part, {
    get(target, name) {
      const member = Reflect.get(target, name, target)
      if (typeof member !== 'function' || !STEPS.has(name)) {
        return typeof member === 'function' ? member.bind(target) : member
      }
      return async (...args: unknown[]) => {
        step()
        const answer = await member.apply(target, args)
        step()
        return answer
      }
    },
  })
}
