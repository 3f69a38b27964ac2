import { describeConformance } from './connector-suite.ts';
import { shipBob, shipHero } from './wms.ts';

for (const preset of [shipHero, shipBob]) describeConformance(preset);
