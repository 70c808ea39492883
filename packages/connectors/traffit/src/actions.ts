import { notSupported } from '@tidemark/connector'

/** Writes to TRAFFIT (create application, move stage, reject, notes, attachments). */
export const actions = notSupported('this version reads from TRAFFIT and does not write to it')
