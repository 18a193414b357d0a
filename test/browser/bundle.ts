/** A script and all that it imports, as one file for a page: what a developer's bundler makes of it. */
import { build } from 'esbuild'

export interface BundleInit {
  /** Directory that the script's imports are resolved from. */
  from?: string
  /** Conditions of the packages' exports, beside those of browsers. */
  conditions?: string[]
}

/**
 * Code that leaves `page.result` behind, which the script exports and may be a promise; it finds `input`
 * as a global. Rejects where something is imported that no browser has.
 */
export async function bundled(
  script: string,
  input: unknown,
  { from = import.meta.dirname, conditions = ['cairn-source'] }: BundleInit = {},
): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: from },
    bundle: true,
    write: false,
    minify: true,
    // Workers, old pages: what is no module runs in each.
    format: 'iife',
    globalName: 'page',
    platform: 'browser',
    conditions,
    logLevel: 'silent',
  })
  return `const input = ${JSON.stringify(input)};\n${outputFiles[0]?.text}`
}
