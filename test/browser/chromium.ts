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
  const chromium = needTool('chromium-headless-shell')
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
  try {
    const { port } = server.address() as AddressInfo
    const told = await whileOpen({ chromium, profile, url: `http://127.0.0.1:${port}/` }, answer)
    const { value, error } = JSON.parse(told) as { value: T; error?: string }
    if (error !== undefined) throw new Error(error)
    return value
  } finally {
    server.closeAllConnections()
    server.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

interface Visit {
  chromium: string
  profile: string
  url: string
}

/** What `answer` resolves to while a browser has the page open. */
async function whileOpen(
  { chromium, profile, url }: Visit,
  answer: Promise<string>,
): Promise<string> {
  const browser = spawn(
    chromium,
    [
      // Root has no sandbox, and many a container lets nobody have one. The page is the tests' own.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      url,
    ],
    // Debian's command is a script that waits for the browser: a signal is for the group.
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  )
  const ended = once(browser, 'close')
  const log = text(browser.stderr)
  try {
    return await Promise.race([
      answer,
      ended.then(async () => Promise.reject(new Error(`Chromium ended: ${await log}`))),
      once(AbortSignal.timeout(TIMEOUT_MS), 'abort').then(() =>
        Promise.reject(new Error(`the page said nothing in ${TIMEOUT_MS} ms`)),
      ),
    ])
  } finally {
    const isRunning = browser.exitCode === null && browser.signalCode === null
    if (browser.pid !== undefined && isRunning) process.kill(-browser.pid, 'SIGKILL')
    await ended
  }
}
