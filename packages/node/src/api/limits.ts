/** Every bound of the API. It listens on the loopback alone, yet any local program reaches it. */

/** A JSON body is a small object. */
export const BODY_MAX_BYTES = 1024 * 1024
/** One upload; longer data is put in parts. */
export const UPLOAD_MAX_BYTES = 64 * 1024 ** 3
/** A request's head, and then its body where that is no upload, must be here in this time, ms. */
export const HEAD_TIMEOUT_MS = 10_000
export const BODY_TIMEOUT_MS = 10_000
/** An upload or download that moves nothing for this long is given up, ms. */
export const STREAM_IDLE_MS = 60_000
/** Open at once; a dashboard has one event stream. */
export const EVENT_STREAMS_MAX = 32
export const CONTENT_STREAMS_MAX = 16
/** An event stream whose reader lags by more than this is closed. */
export const EVENT_BACKLOG_MAX_BYTES = 1024 * 1024
/** A comment line keeps an event stream alive through proxies, ms. */
export const EVENT_HEARTBEAT_MS = 15_000
export const CONNECTIONS_MAX = 256
/** Requests per second, with as many at once; those without a token have a bucket of their own. */
export const AUTHORIZED_PER_SECOND = 200
export const ANONYMOUS_PER_SECOND = 50
export const URL_MAX_CHARS = 4096
/** Messages in one page. */
export const PAGE_MAX = 256
/** The list of files at the head of a pack. */
export const PACK_HEAD_MAX_BYTES = 1024 * 1024
/** Epochs of one preview of a vote: each is settled twice, which holds the process for a while. */
export const PREVIEW_EPOCHS_MAX = 48
