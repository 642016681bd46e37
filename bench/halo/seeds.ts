/** Days that both sides were tuned on, and days that neither tuning nor any change of a rule ever saw. */
export const tuningSeeds = [101, 102, 103];
export const measuredSeeds = [9201, 9202, 9203, 9204, 9205, 9206];
