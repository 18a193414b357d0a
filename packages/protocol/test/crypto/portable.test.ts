import * as portable from '../../src/crypto/portable.ts'
import { conformance } from './conformance.ts'

conformance('portable', portable)
