import { strict as assert } from 'node:assert'
import { METRICS, Metrics, SERIES_MAX } from '../src/metrics.ts'

/** Dashboards and alert rules of operators hang on these. */
const NAMES = [
  'cairn_accepted_epoch',
  'cairn_account_balance_ether',
  'cairn_answers_total',
  'cairn_api_requests_total',
  'cairn_api_seconds',
  'cairn_attestations_total',
  'cairn_chain_calls_total',
  'cairn_chain_head_block',
  'cairn_challenges_total',
  'cairn_checkpoints_total',
  'cairn_clock_offset_seconds',
  'cairn_earned_tokens',
  'cairn_epoch',
  'cairn_file_groups',
  'cairn_gas_spent_today_ether',
  'cairn_health',
  'cairn_messages_total',
  'cairn_mqtt_events_total',
  'cairn_mqtt_waiting',
  'cairn_peers',
  'cairn_penalties',
  'cairn_pieces',
  'cairn_prove_seconds',
  'cairn_published_total',
  'cairn_radio_frames_total',
  'cairn_radios',
  'cairn_ready',
  'cairn_repaired_places',
  'cairn_requests_total',
  'cairn_settle_seconds',
  'cairn_stored_bytes_total',
  'cairn_transactions',
  'cairn_volume_bytes',
]

describe('metrics', () => {
  it('keep their names', async () => {
    const text = await new Metrics().text()
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(match => match[1])
    assert.deepEqual(names.sort(), NAMES)
  })

  it('name counters _total and times in seconds, as Prometheus asks', () => {
    for (const [name, { type }] of Object.entries(METRICS)) {
      assert.equal(name.endsWith('_total'), type === 'counter', name)
      assert.match(name, /^[a-z][a-z0-9_]*$/)
      assert.doesNotMatch(name, /_ms$|_millis/)
    }
  })

  it('count, set and observe', async () => {
    const { count, set, observe, text } = bound(new Metrics())
    count('messages_total', { outcome: 'accept', reason: 'new' })
    count('messages_total', { outcome: 'accept', reason: 'new' }, 2)
    set('peers', 8)
    observe('settle_seconds', 0.3)
    const found = await text()
    assert.match(found, /^cairn_messages_total\{outcome="accept",reason="new"\} 3$/m)
    assert.match(found, /^cairn_peers 8$/m)
    assert.match(found, /^cairn_settle_seconds_bucket\{le="0.5"\} 1$/m)
  })

  it('are separate for each node of one process', async () => {
    const [a, b] = [new Metrics(), new Metrics()]
    a.set('peers', 5)
    assert.match(await b.text(), /^cairn_peers 0$/m)
  })

  it('hold a bounded number of series, whatever a peer sends', async () => {
    const metrics = new Metrics()
    for (let i = 0; i < 10 * SERIES_MAX; i++) {
      metrics.count('requests_total', { protocol: `p${i}`, outcome: 'ok' })
    }
    const text = await metrics.text()
    const series = text.match(/^cairn_requests_total\{/gm)?.length ?? 0
    assert.equal(series, SERIES_MAX + 1)
    assert.match(text, new RegExp(`protocol="other",outcome="other"\\} ${9 * SERIES_MAX}$`, 'm'))
  })
})

function bound(metrics: Metrics) {
  const { count, set, observe } = metrics
  return { count, set, observe, text: () => metrics.text() }
}
