import type { Page } from '@tidemark/connector'
import { type ListPage, listPages } from './listing.ts'
import { STREAM_SCOPE } from './mapping.ts'
import { toPage } from './page.ts'
import { type Run, refusalPage } from './run.ts'
import { mapStages, readWorkflows } from './workflows.ts'

/** Pages of the stages. They are read whole before the first is mapped, because each one's rank depends on all; a tenant has few. */
export async function* stagePages(run: Run): AsyncGenerator<Page> {
  const pages: ListPage[] = []
  for await (const page of listPages(run.client, { path: '/workflows/details' }, run.caller, run.limits)) {
    if (page.rows === null) {
      yield refusalPage(page.answer, STREAM_SCOPE['application-stages'])
      return
    }
    pages.push(page)
  }
  const workflows = readWorkflows(pages.flatMap(({ rows }) => rows))
  for (const { answer, rows } of pages) yield toPage(answer, mapStages(rows, workflows))
}
