import * as native from '../../src/crypto/native.ts'
import { conformance } from './conformance.ts'

conformance('native', native)
