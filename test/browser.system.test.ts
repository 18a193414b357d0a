/** The protocol package in a real browser. */
import { inChromium } from './browser/chromium.ts'
import { describePage } from './browser/suite.ts'

describe('the protocol package in Chromium', function () {
  this.timeout(180_000)

  describePage(inChromium)
})
