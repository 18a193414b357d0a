/**
 * Preloaded, makes this process as bare as a page: packages resolve as a bundler for browsers
 * resolves them, none of Node's own modules is there, and neither are its globals.
 */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { findPackageJSON, isBuiltin, registerHooks } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const NODE_CONDITIONS = ['node', 'node-addons', 'module-sync']

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (isBuiltin(specifier)) {
      throw new Error(`${context.parentURL} imports ${specifier}, which no browser has`)
    }
    const conditions = context.conditions.filter(name => !NODE_CONDITIONS.includes(name))
    const found = nextResolve(specifier, { ...context, conditions: ['browser', ...conditions] })
    return { ...found, url: browserFile(found.url) }
  },
})

for (const name of ['process', 'global', 'setImmediate', 'clearImmediate', 'Buffer']) {
  Object.defineProperty(globalThis, name, { value: undefined, configurable: true })
}

// A page has `fetch`. Node's own does not work without its globals: this one sends and gives text.
Object.defineProperty(globalThis, 'fetch', { value: fetchText })

interface FetchInit {
  method: string
  headers: Record<string, string>
  body: string
}

function fetchText(url: string, { method, headers, body }: FetchInit) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ text: async () => text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** What the `browser` field of the file's package puts in its place. */
function browserFile(url: string): string {
  if (!url.startsWith('file:')) return url
  const manifest = findPackageJSON(url)
  if (manifest === undefined) return url
  const { browser } = JSON.parse(readFileSync(manifest, 'utf8')) as { browser?: unknown }
  if (typeof browser !== 'object' || browser === null) return url
  const file = fileURLToPath(url)
  for (const [from, to] of Object.entries(browser)) {
    if (typeof to !== 'string' || join(dirname(manifest), from) !== file) continue
    return pathToFileURL(join(dirname(manifest), to)).href
  }
  return url
}
