/**
 * Writes what is generated in the documentation: the OpenAPI document, the reference pages, and the
 * tables of `interfaces.md` between their markers. Run it after changing a route, a metric, a
 * setting, an exit code, a command or an error; a test fails while a page is stale.
 */
import { globSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { cliReference, configReference, EXIT_CODES, type ExitCode } from '@cairn/cli'
import {
  METRICS,
  type Metric,
  openApiDocument,
  ROUTES,
  type Route,
  STREAM_ROUTES,
  type StreamRoute,
  schemaOf,
} from '@cairn/node'
import {
  CONTRACT_NUMBERS,
  PARAMETERS,
  type ParameterUnit,
  PUBLIC_PROFILE,
  parameterText,
} from '@cairn/protocol'
import { TestnetFile } from '../packages/testnet/src/testnet-file.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const INTERFACES = 'docs/interfaces.md'

/** Content of every generated page, by path from the root. */
export async function generatedPages(): Promise<Map<string, string>> {
  const tables = {
    routes: routesTable(),
    shapes: shapesList(),
    errors: await errorsTable(),
    'exit-codes': exitCodesTable(),
    metrics: metricsTable(),
    parameters: parametersTable(),
    testnet: block(shapeOf(json(TestnetFile))),
  }
  let interfaces = await readFile(ROOT + INTERFACES, 'utf8')
  for (const [name, table] of Object.entries(tables)) interfaces = fill(interfaces, name, table)
  return new Map([
    ['docs/openapi.json', `${JSON.stringify(openApiDocument(), undefined, 2)}\n`],
    ['docs/reference/config.md', configReference()],
    ['docs/reference/cli.md', cliReference()],
    [INTERFACES, interfaces],
  ])
}

function fill(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${INTERFACES} has no place for ${name}`)
  return `${page.slice(0, from + begin.length)}\n\n${content}\n\n${page.slice(to)}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function routesTable(): string {
  return table(
    ['route', 'token', 'answers', 'what it does'],
    [...ROUTES, ...STREAM_ROUTES].map(route => [
      `\`${route.method} ${route.path}\``,
      route.open ? 'no' : 'yes',
      contentOf(route),
      route.summary,
    ]),
  )
}

function contentOf(route: Route | StreamRoute): string {
  return 'content' in route && route.stream !== 'put' ? `\`${route.content}\`` : 'JSON'
}

function shapesList(): string {
  return [...ROUTES, ...STREAM_ROUTES]
    .filter(route => route.response !== undefined)
    .map(({ method, path, response }) => {
      return `\`${method} ${path}\`\n\n${block(shapeOf(json(response as Route['response'])))}`
    })
    .join('\n\n')
}

function exitCodesTable(): string {
  return table(
    ['code', 'meaning', 'errors'],
    Object.values<ExitCode>(EXIT_CODES).map(({ code, meaning, errors }) => [
      String(code),
      meaning,
      errors.map(error => `\`${error}\``).join(', '),
    ]),
  )
}

function metricsTable(): string {
  return table(
    ['metric', 'type', 'labels', 'meaning'],
    Object.entries<Metric>(METRICS).map(([name, { type, labels, help }]) => [
      `\`cairn_${name}\``,
      type,
      labels.map(label => `\`${label}\``).join(', '),
      help,
    ]),
  )
}

/** Bounds as the public profile has them. */
function parametersTable(): string {
  return table(
    ['name', 'begins as', 'least', 'most', 'step', 'what'],
    [
      ...PARAMETERS.map(parameter => ({ ...parameter, begins: parameter.of(PUBLIC_PROFILE) })),
      ...CONTRACT_NUMBERS,
    ].map(parameter => {
      const { least, most, step } = parameter.limits(PUBLIC_PROFILE)
      const values = [parameter.begins, least, most, step]
      const texts = values.map(value => parameterText(parameter, value))
      return [`\`${parameter.name}\``, ...texts, `${UNITS[parameter.unit]}, ${parameter.about}`]
    }),
  )
}

const UNITS: Record<ParameterUnit, string> = { tokens: 'Tokens', share: 'Of 1', weight: 'Whole' }

/** Where an error is made: `new CairnError('code', 'text'` or `check(condition, 'code', 'text'`. */
const MADE = [
  /new CairnError\(\s*'([a-z]\w*)',\s*(?:`((?:\\.|[^`])*)`|'((?:\\.|[^'])*)'|"((?:\\.|[^"])*)"|)/g,
  /\bcheck\([^;]{1,400}?,\s*'([a-z]\w*)',\s*(?:`((?:\\.|[^`])*)`|'((?:\\.|[^'])*)'|"((?:\\.|[^"])*)")/g,
]

interface MadeError {
  text: string
  packages: Set<string>
}

/** Codes of all errors in the sources, with the text of the first place that makes each. */
export async function errorCodes(): Promise<Map<string, MadeError>> {
  const found = new Map<string, MadeError>()
  const files = globSync('packages/*/src/**/*.ts', { cwd: ROOT })
    .filter(file => !file.includes('/conformance/'))
    .sort()
  for (const file of files) {
    const source = await readFile(ROOT + file, 'utf8')
    const [, name = ''] = file.split('/')
    for (const match of MADE.flatMap(pattern => [...source.matchAll(pattern)])) {
      const [, code = '', ...texts] = match
      const known = found.get(code) ?? { text: '', packages: new Set() }
      known.text ||= texts.find(text => text !== undefined && text !== '') ?? ''
      known.packages.add(name)
      found.set(code, known)
    }
  }
  return found
}

async function errorsTable(): Promise<string> {
  const codes = [...(await errorCodes())].sort(([a], [b]) => (a < b ? -1 : 1))
  return table(
    ['code', 'made in', 'says'],
    codes.map(([code, { text, packages }]) => [
      `\`${code}\``,
      [...packages].sort().join(', '),
      text
        .replaceAll(/\$\{[^}]*\}/g, '…')
        .replaceAll('\\', '')
        .replaceAll('|', '\\|'),
    ]),
  )
}

interface JsonSchema {
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  anyOf?: JsonSchema[]
  items?: JsonSchema
  properties?: Record<string, JsonSchema>
  required?: string[]
  additionalProperties?: JsonSchema | boolean
  description?: string
}

function json(schema: Parameters<typeof schemaOf>[0]): JsonSchema {
  return schemaOf(schema) as JsonSchema
}

/** A schema as a TypeScript reader would write it. */
function shapeOf(schema: JsonSchema, indent = ''): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map(value => JSON.stringify(value)).join(' | ')
  if (schema.anyOf) return schema.anyOf.map(part => shapeOf(part, indent)).join(' | ')
  if (schema.type === 'array') {
    const item = shapeOf(schema.items ?? {}, indent)
    return item.includes(' | ') && !item.startsWith('{') ? `(${item})[]` : `${item}[]`
  }
  if (schema.type === 'object') return objectShape(schema, indent)
  if (schema.description !== undefined) return `${schema.type}, ${schema.description}`
  if (Array.isArray(schema.type)) return schema.type.join(' | ')
  return schema.type ?? 'any'
}

function objectShape({ properties, required, additionalProperties }: JsonSchema, indent: string) {
  if (properties === undefined) {
    const value = typeof additionalProperties === 'object' ? additionalProperties : {}
    return `{ [name]: ${shapeOf(value, indent)} }`
  }
  const inner = `${indent}  `
  const lines = Object.entries(properties).map(([name, property]) => {
    const mark = required?.includes(name) ? '' : '?'
    return `${inner}${name}${mark}: ${shapeOf(property, inner)}`
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}

function block(text: string): string {
  return `\`\`\`\n${text}\n\`\`\``
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, content] of await generatedPages()) {
    await writeFile(ROOT + path, content)
    process.stdout.write(`${relative(process.cwd(), ROOT + path)}\n`)
  }
}
