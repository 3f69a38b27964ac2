import { describeConformance } from './connector-suite.ts';
import { tiktok } from './tiktok.ts';

describeConformance(tiktok);
