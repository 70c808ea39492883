import { notSupported } from '@tidemark/connector'

/** Writes to Kombo (create application, move stage, reject, notes, tags). */
export const actions = notSupported('this version reads from Kombo and does not write to it')
