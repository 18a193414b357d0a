import type { AuditView, Json } from '@cairn/node'
import { EXIT_CODES } from '../exit-codes.ts'
import type { Commands } from '../run.ts'

export function auditCommand({ program, action }: Commands): void {
  program
    .command('audit')
    .description('fetch a leaf of each piece that you have stored, from each provider')
    .action(
      action(async session => {
        const api = await session.api()
        const found = await api.json<{ audits: Json<AuditView>[] }>('/v1/audit', { method: 'POST' })
        const failed = found.audits.filter(({ outcome }) => outcome !== 'given')
        const lines = failed.map(
          ({ deal, provider, outcome, reported }) =>
            `${deal}  provider ${provider}  ${outcome}${reported ? ', verifiers will ask it' : ''}`,
        )
        const { length } = found.audits
        session.output.result(
          found,
          [...lines, `${length - failed.length} of ${length} deals gave the leaf`].join('\n'),
        )
        return failed.length === 0 ? EXIT_CODES.ok.code : EXIT_CODES.notTrue.code
      }),
    )
}
