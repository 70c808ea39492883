import type { Passthrough } from '@tidemark/connector'
import { type NativeApi, nativePassthrough } from '@tidemark/connector/passthrough'

/** Requests to TRAFFIT's integration API as they are, under the name `traffit/v2`. `baseUrl` ends with the API's path. */
export const createPassthrough = (link: Pick<NativeApi, 'http' | 'tokens' | 'clock'>, baseUrl: string): Passthrough =>
  nativePassthrough({ ...link, provider: 'TRAFFIT', api: 'v2', baseUrl })
