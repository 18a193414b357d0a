#!/usr/bin/env node
// Plain JavaScript that any Node parses: its one task before the rest is to refuse an old one.

import { existsSync } from 'node:fs'

const WANTED = [22, 13]

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < WANTED[0] || (major === WANTED[0] && minor < WANTED[1])) {
  process.stderr.write(
    `cairn needs Node.js ${WANTED.join('.')} or newer; this is ${process.versions.node} at ${process.execPath}.\n` +
      'Install a newer one from https://nodejs.org, or with your version manager: nvm install 24\n',
  )
  process.exit(2)
}

// In the workspace the sources run as they are; an installed package holds what was built of them.
const source = process.execArgv.includes('--conditions=cairn-source')
const built = new URL('../dist/main.js', import.meta.url)
if (source) {
  await import('../src/main.ts')
} else if (existsSync(built)) {
  await import(built.href)
} else {
  process.stderr.write(
    'cairn is not built here: run `npm run build`, or `npm run -s cairn -- ...`\n',
  )
  process.exit(2)
}
