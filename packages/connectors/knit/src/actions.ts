import { notSupported } from '@tidemark/connector'

/** Writes through Knit (create application, attachments). */
export const actions = notSupported('this version reads from Knit and does not write to it')
