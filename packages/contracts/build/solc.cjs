#!/usr/bin/env node
/**
 * The command line of `solc` over its npm package: what forge asks of a compiler, that is
 * `--version`, and `--standard-json` with the whole input on standard input.
 */
const { readFileSync, writeSync } = require('node:fs')

const args = process.argv.slice(2)
const solc = require('solc')

if (args.includes('--version')) {
  print(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`)
} else if (args.includes('--standard-json')) {
  print(solc.compile(readFileSync(0, 'utf8')))
} else {
  process.stderr.write('expected --version or --standard-json\n')
  process.exit(1)
}

/** Whole, also into a pipe: `process.exit` and large writes do not go together. */
function print(text) {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  }
}
