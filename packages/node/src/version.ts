/** Version of the daemon, as `status` and the API show it. */
export const VERSION = '0.1.0'
