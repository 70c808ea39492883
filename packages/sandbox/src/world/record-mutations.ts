import type { Random } from '@tidemark/base'
import type { Company } from './company.ts'
import type { FieldsOf, Links, Model, Mutation } from './types.ts'

/** Mutations of records of any model. */
export abstract class RecordMutations {
  /** Source of what a caller leaves open. */
  abstract readonly random: Random

  /** The company behind an integration; throws RECORD_INVALID when there is none. */
  abstract company(integrationId: string): Company

  /** Generic creation of a record of any model. */
  insert<M extends Model>(integrationId: string, model: M, fields: FieldsOf[M], links: Links = {}): string {
    let id = ''
    this.company(integrationId).mutate('record_created', `new record in ${model}`, (draft) => {
      id = draft.insert(model, fields, links).id
    })
    return id
  }

  /** Generic edit of a record's own fields. */
  mutate<M extends Model>(integrationId: string, model: M, id: string, patch: Partial<FieldsOf[M]>): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('record_edited', `${model} ${id} edited`, (draft) => draft.edit(model, id, patch))
  }

  /** Generic change of a record's links; its own fields stay as they are. */
  link(integrationId: string, model: Model, id: string, links: Links): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('record_linked', `${model} ${id} linked`, (draft) => draft.link(model, id, links))
  }

  /** Generic deletion, with children. `announced` false: only a full sync finds out. */
  remove(integrationId: string, model: Model, id: string, announced = true): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('record_deleted', `${model} ${id} deleted`, (draft) => draft.remove(model, id), announced)
  }

  /** Brings back one of the last 1,000 deleted records, by Kombo id; its children stay deleted. */
  restore(integrationId: string, model: Model, id: string): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('record_restored', `${model} ${id} restored`, (draft) => draft.restore(model, id))
  }
}
