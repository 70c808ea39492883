import { describe, expect, it } from 'vitest'
import { base58Id, komboId } from './ids.ts'
import { MODELS, type Mutation } from './types.ts'
import { World } from './world.ts'

const START = Date.UTC(2026, 0, 5, 9)
const SIZES = { jobs: 20, candidates: 100, applications: 250 }

function worldWith(seed: number) {
  const mutations: Mutation[] = []
  let nowMs = START
  const world = new World({ seed, now: () => nowMs, onMutation: (mutation) => mutations.push(mutation) })
  const a = world.found(SIZES, 'greenhouse').integrationId
  const b = world.found(SIZES, 'traffit').integrationId
  world.actionsPerMinute = 60
  const live = (minutes: number): void => {
    for (let i = 0; i < minutes * 6; i++) {
      nowMs += 10_000
      world.tick(nowMs)
    }
  }
  const dump = () =>
    [a, b].map((id) =>
      MODELS.map((model) => [...world.company(id).table(model).values()].map((r) => ({ ...r, fields: r.fields }))),
    )
  return { world, mutations, a, b, live, dump }
}

describe('ids', () => {
  it('are 24 base58 characters, the same for the same remote id and different otherwise', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 50_000; i++) seen.add(komboId('greenhouse:x', String(i)))
    for (let i = 0; i < 50_000; i++) seen.add(komboId('greenhouse:y', String(i)))
    expect(seen.size).toBe(100_000)
    for (const id of [...seen].slice(0, 500)) expect(id).toMatch(/^[1-9A-HJ-NP-Za-km-z]{24}$/)
    expect(komboId('greenhouse:x', '7')).toBe(komboId('greenhouse:x', '7'))
    expect(base58Id('')).toHaveLength(24)
  })
})

describe('world', () => {
  it('has the sizes that were asked for', () => {
    const { world, a } = worldWith(7)
    const { tables } = world.company(a)
    expect([tables.jobs.size, tables.candidates.size, tables.applications.size]).toEqual([20, 100, 250])
    for (const model of MODELS) expect(tables[model].size, model).toBeGreaterThan(0)
  })

  it('is the same for the same seed and times, and another for another seed', () => {
    const [one, two, other] = [worldWith(7), worldWith(7), worldWith(8)]
    for (const each of [one, two, other]) each.live(10)
    expect(one.mutations.length).toBeGreaterThan(100)
    expect(two.mutations).toEqual(one.mutations)
    expect(two.dump()).toEqual(one.dump())
    expect(other.mutations).not.toEqual(one.mutations)
  })

  it('lets every kind of thing happen and never leaves a reference to nothing', () => {
    const { world, mutations, a, b, live } = worldWith(3)
    live(30)
    const kinds = new Set(mutations.map((mutation) => mutation.kind))
    for (const kind of [
      ...([
        'candidate_created',
        'candidate_edited',
        'candidate_tagged',
        'candidate_untagged',
        'candidate_merged',
      ] as const),
      ...(['candidate_anonymized', 'candidate_vanished', 'candidate_deleted', 'application_created'] as const),
      ...(['application_moved', 'application_rejected', 'application_withdrawn', 'application_hired'] as const),
      ...(['interview_scheduled', 'offer_created', 'note_added', 'job_created', 'job_opened', 'job_closed'] as const),
      ...(['job_edited', 'job_team_changed'] as const),
    ]) {
      expect(kinds, kind).toContain(kind)
    }
    for (const id of [a, b]) {
      const { tables } = world.company(id)
      for (const app of tables.applications.values()) {
        expect(tables.candidates.get(app.fields.candidate_id)).toBeDefined()
        expect(tables.jobs.get(app.fields.job_id)).toBeDefined()
        expect(tables.application_stages.get(app.fields.current_stage_id ?? '')).toBeDefined()
      }
      for (const interview of tables.interviews.values()) {
        expect(tables.applications.get(interview.fields.application_id)).toBeDefined()
      }
      for (const candidate of tables.candidates.values()) {
        for (const tag of candidate.links.tags ?? []) expect(tables.tags.get(tag)).toBeDefined()
      }
    }
  })

  it('moves the applications, notes, tags and addresses of a merged candidate to the winner', () => {
    const { world, a, mutations } = worldWith(5)
    const company = world.company(a)
    const [loser, winner] = [company.find('candidates', '1'), company.find('candidates', '2')]
    world.addTag(a, loser.id, 'Only mine')
    const before =
      company.children('applications', loser.id).length + company.children('applications', winner.id).length
    world.mergeCandidates(a, loser.id, winner.id)
    expect(company.tables.candidates.get(loser.id)).toBeUndefined()
    expect(company.children('applications', winner.id)).toHaveLength(before)
    const after = company.find('candidates', winner.id)
    expect(after.fields.email_addresses).toEqual(expect.arrayContaining([...loser.fields.email_addresses]))
    const tags = after.links.tags?.map((tag) => company.tables.tags.get(tag)?.fields.name)
    expect(tags).toContain('Only mine')
    expect(mutations.at(-1)).toMatchObject({
      kind: 'candidate_merged',
      deleted: [{ model: 'candidates', id: loser.id }],
    })
  })

  it('announces nothing when a mutation changes nothing', () => {
    const { world, a, mutations } = worldWith(5)
    const name = world.company(a).find('candidates', '1').fields.first_name
    expect(world.editCandidate(a, '1', { first_name: name })).toBeNull()
    expect(mutations).toEqual([])
  })

  it('removes a deleted record from everything that was linked to it, and can bring it back', () => {
    const { world, a } = worldWith(5)
    const company = world.company(a)
    const tag = company.find('tags', '1')
    world.addTag(a, '1', tag.id)
    world.remove(a, 'tags', tag.id)
    expect(company.find('candidates', '1').links.tags).not.toContain(tag.id)
    world.restore(a, 'tags', tag.id)
    expect(company.find('tags', tag.id).fields).toEqual(tag.fields)
  })

  it('names what is unknown', () => {
    const { world, a } = worldWith(5)
    expect(() => world.editCandidate(a, 'nobody', { title: 'x' })).toThrow(/no record nobody in candidates/)
    expect(() => world.editCandidate('x:y', '1', { title: 'x' })).toThrow(/no integration x:y/)
    expect(() => world.mergeCandidates(a, '1', '1')).toThrow(/into itself/)
  })
})
