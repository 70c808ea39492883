import type { Page } from '@tidemark/connector'
import type { KnitStream } from './streams.ts'
import type { SyncStarted } from './syncs.ts'

/**
 * The answer to the start of a sync as the only page of its stream. It shows no record and says so: nothing follows from what it lacks, and
 * no time up to which everything was read.
 */
export function toPage(stream: KnitStream, { http, syncJobId }: SyncStarted): Page {
  return {
    ...http,
    mapped: { records: [], childLists: [], failures: [] },
    total: null,
    notOffered: `Knit sends the records of ${stream} itself, one webhook each; sync job ${syncJobId} has begun a run`,
  }
}
