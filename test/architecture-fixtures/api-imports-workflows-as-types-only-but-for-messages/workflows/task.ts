export type Thing = { id: string };
export const thing: Thing = { id: "1" };
