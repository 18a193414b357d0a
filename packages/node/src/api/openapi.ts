/** The OpenAPI document, generated from the table of routes and their zod schemas. */
import { z } from 'zod'
import { ErrorShape } from './errors.ts'
import { ROUTES, type Route, STREAM_ROUTES, type StreamRoute } from './routes.ts'

/** Of the API, not of the program: raised when a shape changes incompatibly. */
const API_VERSION = '1'

type Json = Record<string, unknown>

export function openApiDocument(): Json {
  const paths: Record<string, Json> = {}
  for (const route of [...ROUTES, ...STREAM_ROUTES]) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cairn node',
      version: API_VERSION,
      description:
        'Listens on 127.0.0.1. Bytes are lower-case hexadecimal, amounts decimal strings of base units.',
    },
    paths,
    components: {
      schemas: { Error: schemaOf(ErrorShape) },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
    security: [{ token: [] }],
  }
}

function operation(route: Route | StreamRoute): Json {
  const parameters = [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')]
  const upload = 'stream' in route && route.stream === 'put'
  return {
    summary: route.summary,
    ...(route.open ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(upload ? { requestBody: { required: true, content: { [route.content]: {} } } } : {}),
    responses: { ...responses(route), default: ERROR },
  }
}

const ERROR = {
  description: 'The request could not be answered',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
}

function responses(route: Route | StreamRoute): Json {
  const schema = route.response === undefined ? undefined : schemaOf(route.response)
  const upload = 'stream' in route && route.stream === 'put'
  const content = 'stream' in route && !upload ? route.content : 'application/json'
  const answer = {
    description: 'The answer',
    content: { [content]: schema === undefined ? {} : { schema } },
  }
  return { [route.path === '/v1/stop' ? '202' : '200']: answer }
}

function parametersOf(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: parameterSchema(property),
  }))
}

/** Numbers come as text and are numbers to whoever calls. */
function parameterSchema({ integer, ...property }: Json): Json {
  if (integer === undefined) return property
  const { default: initial } = property
  return { type: 'integer', ...integer, ...(initial === undefined ? {} : { default: initial }) }
}

/** JSON Schema of a shape. */
export function schemaOf(schema: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}
