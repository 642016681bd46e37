/** Days that both sides were tuned on, and days that tuning never saw. */
export const tuningSeeds = [101, 102, 103];
export const measuredSeeds = [9001, 9002, 9003, 9004, 9005, 9006];
