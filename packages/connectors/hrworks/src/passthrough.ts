import type { Passthrough } from '@tidemark/connector'
import { type NativeApi, nativePassthrough } from '@tidemark/connector/passthrough'

/** Requests to the API of HR WORKS as they are, under the name `hrworks/v2`. `baseUrl` ends with the version. */
export const createPassthrough = (link: Pick<NativeApi, 'http' | 'tokens' | 'clock'>, baseUrl: string): Passthrough =>
  nativePassthrough({ ...link, provider: 'HR WORKS', api: 'v2', baseUrl })
