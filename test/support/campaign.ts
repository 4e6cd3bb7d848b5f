/** Whether tests with random cases run in full, as `npm run campaign` has them, instead of in a short size. */
const isCampaign = process.env.DAVIT_CAMPAIGN === '1';

/** How many random cases a test tries: `short` in `npm test`, `full` in `npm run campaign`. */
export function rounds(short: number, full: number): number {
  return isCampaign ? full : short;
}
