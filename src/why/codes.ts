/** The reasons that `why` gives. They are declared where the file is read, because expectations name them. */
export { type Code, codes } from '../topology/why-codes.ts'
