import { describeConformance } from './connector-suite.ts';
import { amazon } from './amazon.ts';

describeConformance(amazon);
