/**
 * Public randomness over drand's HTTP interface: `GET {url}/public/{round}`. Several relays are
 * asked in turn; what they answer is verified by the core, so a lying relay costs a retry.
 */
import { concatBytes, DRAND_SIGNATURE_BYTES, unhex } from '@cairn/protocol'
import { z } from 'zod'
import type { Log, Randomness } from './ports.ts'

export interface DrandRelaysInit {
  /** Base URLs, in order of preference. */
  urls: readonly string[]
}

/** A relay that has not answered by then is passed over, ms. */
const RELAY_TIMEOUT_MS = 2_000
/** An answer is one small JSON object. */
const ANSWER_MAX_BYTES = 4_096

const Answer = z.object({
  round: z.number().int().positive(),
  signature: z.string().regex(new RegExp(`^[0-9a-f]{${2 * DRAND_SIGNATURE_BYTES}}$`)),
})

export function drandRelays({ log }: { log: Log }, { urls }: DrandRelaysInit): Randomness {
  return {
    async round(round, signal) {
      for (const url of urls) {
        const signature = await ask(`${url}/public/${round}`, round, signal).catch(
          (error: unknown) => {
            if (signal.aborted) return undefined
            log.debug({ url, round, err: error }, 'a randomness relay did not answer')
            return undefined
          },
        )
        if (signature !== undefined) return signature
      }
      return undefined
    },
  }
}

async function ask(
  url: string,
  round: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(RELAY_TIMEOUT_MS)]),
  })
  const text = await boundedText(response)
  // 404 and 425: the round is not due yet.
  if (!response.ok || text === undefined) return undefined
  const answer = Answer.parse(JSON.parse(text))
  return answer.round === round ? unhex(answer.signature) : undefined
}

/** The body, or undefined when it is longer than an answer is: no more of it is read then. */
async function boundedText(response: Response): Promise<string | undefined> {
  const announced = Number(response.headers.get('content-length') ?? 0)
  if (announced > ANSWER_MAX_BYTES) {
    await response.body?.cancel()
    return undefined
  }
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    // Leaving the loop cancels the body.
    if (length > ANSWER_MAX_BYTES) return undefined
    parts.push(part)
  }
  return new TextDecoder().decode(concatBytes(parts))
}
