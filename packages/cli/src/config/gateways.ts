import { check } from '@cairn/protocol'
import type { Values } from './keys.ts'

/** A gateway that the configuration names. */
export interface ConfiguredGateway {
  /** Number of its node's keys among those of the words; 0: the daemon's own. */
  key: number
  eui?: string
  region: string
  /** 0.1 dBi. */
  gain: number
}

/** Those of `radio.gateways`, or the node's own. Throws `badConfig` where they contradict. */
export function gatewaysOf(values: Values): ConfiguredGateway[] {
  const eui = values['radio.eui']
  const own = { region: values['radio.region'], gain: values['radio.gain'] }
  const several = values['radio.gateways']
  if (several.length === 0) return [{ key: 0, ...own, ...(eui === '' ? {} : { eui }) }]
  check(eui === '', 'badConfig', 'radio.eui is set beside radio.gateways', {
    next: 'name every gateway in radio.gateways; the node itself has key 0',
  })
  for (const part of ['key', 'eui'] as const) {
    const found = several.map(gateway => gateway[part])
    const twice = found.find((value, place) => found.indexOf(value) !== place)
    check(twice === undefined, 'badConfig', `radio.gateways names ${part} ${twice} twice`, {
      facts: { [part]: twice },
      next: 'give each gateway a key and an EUI of its own',
    })
  }
  return several.map(({ key, eui: its, region = own.region, gain = own.gain }) => ({
    key,
    eui: its,
    region,
    gain,
  }))
}
