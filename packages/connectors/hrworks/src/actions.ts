import { notSupported } from '@tidemark/connector'

/** Writes to HR WORKS (create application, add attachment). Their asynchronous protocol is in `jobs.ts`. */
export const actions = notSupported('this version reads from HR WORKS and does not write applications to it')
