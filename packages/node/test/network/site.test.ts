import { strict as assert } from 'node:assert'
import { isWithinSite } from '@cairn/node'

const PEER = '/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

describe('a network within one site', () => {
  it('is one whose bootstrap peers all have private addresses', () => {
    const within = ['/ip4/127.0.0.1/tcp/1', `/ip4/192.168.1.7/tcp/4131${PEER}`, '/ip6/::1/tcp/1']
    assert.equal(isWithinSite(within), true)
    for (const address of within) assert.equal(isWithinSite([address]), true, address)
    for (const address of ['/ip4/8.8.8.8/tcp/4131', '/dns4/example.org/tcp/4131', `${PEER}`]) {
      assert.equal(isWithinSite([address]), false, address)
      assert.equal(isWithinSite([...within, address]), false, address)
    }
  })

  it('is none that names nobody', () => {
    assert.equal(isWithinSite([]), false)
  })
})
