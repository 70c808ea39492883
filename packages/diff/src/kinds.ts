import { KINDS } from '@tidemark/codec'

/** Values of an observation's `kind`. */
export const KIND_RECORD = KINDS.indexOf('record')
export const KIND_DELETED = KINDS.indexOf('deleted')
export const KIND_MERGED = KINDS.indexOf('merged')
export const KIND_ANONYMIZED = KINDS.indexOf('anonymized')
