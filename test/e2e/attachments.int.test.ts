/** Files of candidates, read through Kombo's official SDK from a tidemark as a newcomer starts it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kombo } from '@kombo-api/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, startTidemark, type TidemarkProcess } from '../harness/tidemark.ts'

let folder: string
let url: string
let tidemark: TidemarkProcess

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-attachments-'))
  const config = join(folder, 'config.yaml')
  const sizes = { jobs: 5, candidates: 20, applications: 30, first_sync_ms: 100, actions_per_minute: 0.001 }
  const sandbox = { providers: ['kombo', 'traffit'], ...sizes }
  writeFileSync(config, JSON.stringify({ data: join(folder, 'data'), sandbox }))
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  tidemark = startTidemark({ data: join(folder, 'data'), port, config })
  await tidemark.ready()
})
afterAll(async () => {
  await tidemark.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Status {
  readonly data: { readonly integrations: readonly { readonly integration_id: string; readonly source: string }[] }
}

/** The SDK for an integration that the source reads. */
async function sdkOf(source: string): Promise<Kombo> {
  const { data } = (await (await fetch(`${url}/v1/status`)).json()) as Status
  const integration_id = data.integrations.find((each) => each.source === source)?.integration_id ?? ''
  return new Kombo({ api_key: 'none', integration_id, server_url: `${url}/v1` })
}

/** An application, once its first sync is over. */
async function applicationOf(sdk: Kombo): Promise<{ readonly id: string; readonly candidate_id: string }> {
  for (;;) {
    try {
      for await (const { result } of await sdk.ats.getApplications({ page_size: 1 })) {
        const [found] = result.data.results
        if (found?.candidate_id) return { id: found.id, candidate_id: found.candidate_id }
        break
      }
    } catch (error) {
      // 409: the first sync is not over.
      if (!(error instanceof Error && 'statusCode' in error && error.statusCode === 409)) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('a tidemark over the sandbox', () => {
  it.each([
    ['sandbox', false],
    ['traffit', true],
  ])('gives the files of an application that %s knows, under addresses that work', async (source, isOwn) => {
    const sdk = await sdkOf(source)
    const { id, candidate_id } = await applicationOf(sdk)
    const ofCandidate = await sdk.ats.getCandidateAttachments({ candidate_id })
    const { data, warnings } = await sdk.ats.getApplicationAttachments({ application_id: id })
    expect(ofCandidate.data.results[0]).toMatchObject({ candidate_id, application_id: null })
    expect(data.results.map((each) => each.remote_id)).toEqual(ofCandidate.data.results.map((each) => each.remote_id))
    expect(JSON.stringify(warnings).includes('on the candidate')).toBe(isOwn)
    const [cv] = data.results
    expect(cv).toMatchObject({ type: 'CV', content_type: 'application/pdf' })
    expect(cv?.id).toMatch(/^[1-9A-HJ-NP-Za-km-z]{24}$/)
    // Whose own address it is depends on who holds the file.
    expect(cv?.data_url.startsWith(`${url}/v1/ats/applications/${id}/attachments/`)).toBe(isOwn)
    const file = await fetch(cv?.data_url ?? '')
    expect([file.status, file.headers.get('content-type')]).toEqual([200, 'application/pdf'])
    expect((await file.text()).slice(0, 5)).toBe('%PDF-')
    expect(file.headers.get('content-disposition')?.startsWith('attachment; filename="cv-') ?? false).toBe(isOwn)
  })

  it('says what a source does not know of them', async () => {
    const restrictions = async (source: string): Promise<unknown> => {
      const integration = (await sdkOf(source))._options.integration_id ?? ''
      const headers = { 'x-integration-id': integration }
      const answer = await fetch(`${url}/v1/ats/actions/ats_create_candidate`, { headers })
      return ((await answer.json()) as { data: { attachment_restrictions: unknown } }).data.attachment_restrictions
    }
    expect(await restrictions('sandbox')).toMatchObject({ types: { CV: { is_supported: true } } })
    expect(await restrictions('traffit')).toBeNull()
  })
})
