/** Days that both sides were tuned on, and days that neither tuning nor any change of a rule ever saw. */
export const tuningSeeds = [101, 102, 103];
export const measuredSeeds = [9101, 9102, 9103, 9104, 9105, 9106];
