/** Pages in Chromium, each in a browser of its own that knows nothing of the last one. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { needTool } from '../tools.ts'
import { bundled } from './bundle.ts'

/** A slow machine starts a browser in half of it, ms. */
const TIMEOUT_MS = 60_000

const PAGE = `<!doctype html><title>page</title>
<script>
  const said = what => fetch('said', { method: 'POST', body: JSON.stringify(what) })
  addEventListener('error', ({ message }) => said({ error: message }))
</script>
<script src="page.js"></script>
<script>
  Promise.resolve(page.result).then(
    value => said({ value }),
    error => said({ error: String(error?.stack ?? error) }),
  )
</script>`

/** What `script` exports as `result` in a page of Chromium, as JSON has it. Rejects with what the page says went wrong. */
export async function inChromium<T>(script: string, input: unknown): Promise<T> {
  const code = await bundled(script, input)
  let said: (text: string) => void = () => {}
  const answer = new Promise<string>(resolve => {
    said = resolve
  })
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') said(await text(request))
    const isCode = request.url === '/page.js'
    const type = isCode ? 'text/javascript' : 'text/html'
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(isCode ? code : PAGE)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const profile = await mkdtemp(join(tmpdir(), 'cairn-chromium-'))
  const { port } = server.address() as AddressInfo
  const browser = spawn(
    needTool('chromium-headless-shell'),
    [
      // Root has no sandbox.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${port}/`,
    ],
    // Debian's command is a script that waits for the browser: a signal is for the group.
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  )
  const ended = once(browser, 'close')
  const log = text(browser.stderr)
  try {
    const told = await Promise.race([
      answer,
      ended.then(async () => Promise.reject(new Error(`Chromium ended: ${await log}`))),
      once(AbortSignal.timeout(TIMEOUT_MS), 'abort').then(() =>
        Promise.reject(new Error(`the page said nothing in ${TIMEOUT_MS} ms`)),
      ),
    ])
    const { value, error } = JSON.parse(told) as { value: T; error?: string }
    if (error !== undefined) throw new Error(error)
    return value
  } finally {
    if (browser.pid !== undefined && browser.exitCode === null) process.kill(-browser.pid)
    await ended
    server.closeAllConnections()
    server.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
