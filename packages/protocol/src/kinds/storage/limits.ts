/** How much one challenge asks: what the lists of proof and evidence have room for. */
import { DEBTS_PER_CHALLENGE_MAX } from '../../profile.ts'

/** New leaves that one challenge asks: 1,440 a day from three challengers an hour. */
export const LEAVES_PER_CHALLENGE = 20
/** Most leaves of one challenge. */
export const ASKED_MAX = LEAVES_PER_CHALLENGE + DEBTS_PER_CHALLENGE_MAX
