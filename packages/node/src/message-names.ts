/** Names of message types and verdicts, as the API has them. */
import { CairnError, MessageType, Verdict, type VerdictName } from '@cairn/protocol'

export function typeName(type: number): string {
  const found = Object.entries(MessageType).find(([, code]) => code === type)
  if (found === undefined) throw new CairnError('unknownType', `no message of type ${type}`)
  return found[0]
}

export function verdictName(verdict: Verdict): VerdictName {
  const found = Object.entries(Verdict).find(([, code]) => code === verdict)
  return (found?.[0] ?? 'inconclusive') as VerdictName
}
