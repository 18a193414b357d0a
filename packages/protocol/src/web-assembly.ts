/** What this package uses of the platform's WebAssembly; a browser's types are not among ours. */
interface Platform {
  validate(code: Uint8Array): boolean
  Module: new (code: Uint8Array) => object
  Instance: new (module: object) => { exports: unknown }
}

/** True iff a platform runs this WebAssembly module. */
export type Runs = (code: Uint8Array) => boolean

/** Of the platform that we are on, which may have no WebAssembly, or none with SIMD. */
export const runsHere: Runs = code => platform()?.validate(code) ?? false

/** The exports of a new instance of a module that imports nothing and runs here. */
export function instantiate(code: Uint8Array): unknown {
  const { Module, Instance } = platform() as Platform
  return new Instance(new Module(code)).exports
}

function platform(): Platform | undefined {
  return (globalThis as { WebAssembly?: Platform }).WebAssembly
}
