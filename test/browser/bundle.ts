/** A script and all that it imports, as one file for a page: what a developer's bundler makes of it. */
import { build } from 'esbuild'

/**
 * Code that leaves `page.result` behind, which the script exports and may be a promise; it finds `input`
 * as a global. Rejects where something is imported that no browser has.
 */
export async function bundled(script: string, input: unknown): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: import.meta.dirname },
    bundle: true,
    write: false,
    minify: true,
    // Workers, old pages: what is no module runs in each.
    format: 'iife',
    globalName: 'page',
    platform: 'browser',
    conditions: ['cairn-source'],
    logLevel: 'silent',
  })
  return `const input = ${JSON.stringify(input)};\n${outputFiles[0]?.text}`
}
