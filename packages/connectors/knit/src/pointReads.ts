import type { PointReads } from '@tidemark/connector'

/**
 * None: Knit's single reads (`ats.job.get`, `ats.application.get`) pass the request on to the customer's system, are documented without
 * their answer to a record that does not exist, and so prove no absence.
 */
export const pointReads: PointReads | null = null
