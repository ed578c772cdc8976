"""Words by which `anonymous` tells a name from what else has a capital letter in a referral. Values only.

None of the lists is complete, and none can be: what that costs stands in decision 0037.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FIRST_NAMES = _words("""
aaliyah aaron abdul abdullah abena abigail abimbola adaeze adam adele adrian adwoa agnes agnieszka ahmed aiden aileen
aisha akua alan albert alexander alexandra alfie alfred ali alice alicia alison allan ama amanda amelia amina amy
anastasia andrea andrew andrzej angela anil anita ann anna anne annette annie anthony antonio aoife archie arjun
arthur audrey ayesha aysha babatunde balwinder barbara barry beatrice benjamin bernadette bernard bernice bertha beryl
beryl-ann betty beverley bilal brenda brian bridget bronwen bronwyn bruce callum cameron carmen caroline cath
catherine cecil cedric celia chanelle charles chidi chinedu chioma chloe christina christine christopher chukwu ciara
claire clara clarence claude clifford clive colin colleen connor cormac cynthia daniel daphne darren david dawid
deborah declan deepak deirdre delphine denise dennis derek desmond diana diane dilys dimitri dolores donald donna
doreen doris dorothy douglas duncan dylan eamon edgar edith edna edward edwin efua eileen elaine eleanor eliza
elizabeth ella ellen ellie elsie emeka emily emma emmanuel enid eric ernest esther ethan ethel eugene eunice evelyn
fatima fatou felicity ffion fiona florrie folake frances francesca francis fred freda frederick funmi gareth geoffrey
george georgina gerald geraldine gertrude gethin giles gillian gladys glenda gloria gordon graham gregory gurpreet
gwen gwendoline gwyneth hannah harold harriet harry harvey harvinder hassan helen helga henry herbert hilary hilda
horace howard hubert hugh hussein ian ibrahim ida ifeoma imran ingrid irene isabel isabella isla ismail ivan jacob
jacqueline jacqui jagdish jamal james jamila jane janet janice jasbir jason jaswinder jayden jean jeffrey jennifer
jenny jeremy jessica jessie jill joan joanna joanne joseph josephine joshua joyce juan judith julia julian julie
justin kaiden kamal karen karl karol katarzyna kate katherine kathleen kathryn katie kayden keisha keith kelly kenneth
kevin khadija kieran kofi krystyna kumar kwabena kwame lakshmi laura lauren laurence layla leonard leroy leroy-james
lesley leslie lewis liam lilian lillian linda lionel lisa lorraine louisa louise lucille lucy luis luke lydia lynda
lynette mabel madeleine magdalena maggie malcolm malik mandy manjit manpreet marcus marek margaret margery maria
marian marianne marie marilyn marion marjorie martha martin mary matilda matthew maud maureen maurice mavis maxine
megan mei melanie mercedes michael michelle mildred millicent minnie miriam mohamed mohammad mohammed moira mollie
molly monica morris muhammad muriel mustafa myra nadia nana-ama naomi natalia natalie natasha nathan neil nellie ngozi
niamh nicholas nicola nigel nigella noah noel noor nora norah noreen norman odette oliver olivia olu oluwaseun olwen
omar oonagh oscar osman oswald pablo pamela parveen patricia patrick paul paula pauline pavel pearline peggy percy
peter philip philippa phillip philomena phyllis piotr priscilla priya rachel rajesh ramesh raymond rebecca reginald
rhoda richard rita robert roberta roger rohan roland ronald rosalind rosemarie rosie rowena roxanne roy rukhsana
rupert ruth ryan sabina sadie sally salma samantha samuel sandra sanjay saoirse sarah savitri seamus sean segun selina
shabana shabnam sharon shaun sheila shirley simon siobhan sofia sonia sophia sophie stanley stella stephanie stephen
steven stuart sukhdev sunil sunita suresh surinder susan suzanne svetlana sybil sylvia tamara tariq temitope terence
teresa terry thelma theo theodore theresa thomas timothy tomasz tracey trevor tunde tyrone una ursula valerie vera
verna vernon veronica victor vijay vincent vivian vivienne walter wanda wendy wilfred wilhelmina william wilma
winifred winston yasmin yaw yetunde yolanda yusuf yvette yvonne zainab zara-jane zoe zofia
""")
"""First names that are no ordinary word: one of them is marked wherever it stands, in small letters too."""

NAMES_AND_WORDS = _words("""
abbey alma amber amos angel april art ash aurora austin autumn basil bella ben bertie bill blessing bob bonnie brad
bryony carol charity charlotte chelsea chris christian claudia cliff comfort constance crystal daisy dale dan dave
dawn dean delia delroy don dot drew duke earl ebony eden ellis eve faith fay fern fleur flo flora florence frank gale
gary gene georgia gift ginger glen glenn grace grant gus guy gwyn harmony hazel heath heather herb holly honor hope
hunter iris ivor ivy jack jade jasmine jasper jay jim jo joe john johnny jordan josh joy jude june kay ken kerry kim
kirsty kit kitty lance lee len leo lily lola loretta lou love mac major marcia mark marlene mason max may melody mercy
merle mick miles millie mo mona myrtle nan nancy nick norm olive opal paddy pam paris pat patience patsy pearl penny
pete phil phoebe poppy precious primrose prudence ray reg rene rich rob robin rod ron rose rosemary ross ruby rusty
saffron sam sandy scarlett scott shelley sid sienna silver sky sol sonny stan steve sue summer sunny sydney tara ted
tessa tim tina toby tom tommy tony trish trixie val verity vi vic vicky victoria viola violet virginia viv wallace
warren wayne wes will willow win zara
""")
"""First names that are ordinary words, places or short: one alone says nothing, two words in a row may."""

SURNAMES = _words("""
adebayo adeyemi agarwal ahmad akhtar allen anderson armstrong atkinson bailey bakare banerjee barnes begum bennett
bhatt bibi booth bradley brooks campbell chapman chaudhry chaudhury chen choudhury clarke cohen coleman collins costa
cunningham dasgupta davies davis dixon dogan doyle edwards ellington evans ferguson fernandes fernandez fisher
fitzgerald fletcher foster gallagher garcia gibson gonzalez graham griffiths gupta hamilton harris harrison harvey
hashmi henderson holmes hughes hussain iqbal ivanov ivanova jackson jenkins johnson johnston jones kaur kelly kennedy
khan kowalska kowalski kumari lawson lewandowski lloyd mahmood marshall martinez mccarthy mcdonald mehta mendoza
mensah mitchell moore morgan morrison mukherjee murphy murray myers nguyen novak nowak nwosu oconnor odonnell okafor
okeke okonkwo olsen oneil oneill osei owens owusu palmer papadopoulos parkin patel pereira perera phillips popescu
powell quillfeather rahman rao reid reynolds richards richardson roberts robertson robinson rodriguez rogers russell
sanders santos sharma shaw siddiqui silva simmonds simpson singh smith spencer stephens stevens stevenson sullivan
thompson thomson tkachenko tremblay turner wallis walsh watson webb wilkinson williams williamson wilson wisniewski
wojcik yilmaz zhang
""")
"""Surnames that are no ordinary word and no well-known place."""

SURNAME_WORDS = _words("""
abbott archer baker ball banks barber bell berry bird bishop black bond bowman brook brown bull burns bush butcher
butler carpenter carter chambers cole cook cooper cox cross curtis day dean drake english farmer field fields fisher
flower flowers ford fox french frost gardner gibbs glover gray green grey griffin hall harper hart hayes heath hill
hood hope hopkins howell hunt hunter king knight lamb lane law lee little long lord love lowe marsh mason mills moss
newton nichols north page parker parks parsons peacock pearce perry piper plum pope porter potter price prince reed
rice rich rivers rose rowe sharp shepherd short skinner small snow stone street summers swan taylor thorn tucker
turner vale walker wall ward warner waters watts weaver webster weeks wells west wheeler white winter wise wolf wood
woods wright young
""")
"""Ordinary words that are surnames: they count only behind what is, or may be, a first name."""

TITLES = _words("mr mrs mx messrs")
"""What follows them is a name, however it is written."""
TITLES_AND_WORDS = _words(
    "ms"
    " miss dr doctor prof professor rev reverend sir dame lady lord master sister father brother nurse cllr councillor"
    " canon pastor imam rabbi aunt auntie uncle nan nanny gran granny grandad matron"
)
"""What follows them is a name where it has a capital letter and is nothing that is known."""

RELATIONS = _words("""
aunt baby boy brother brother-in-law called carer child consultant cousin dad daughter daughter-in-law ex-husband
ex-wife father father-in-law fiance fiancee friend girl gp grandchild granddaughter grandfather grandmother grandson
guardian husband keyworker landlady landlord manager mother mother-in-law mum named neighbor neighbour nephew nickname
nicknamed niece partner physio physiotherapist sister sister-in-law solicitor son son-in-law spouse stepdaughter
stepson supervisor surname twin uncle warden widow widower wife
""")
"""A word with a capital behind one of them is a name, if it is nothing that is known."""

INSTITUTIONS = _words("""
act agency ambulance association avenue bed borough bottom bridge care catheter center centre chair chapel chemist
church clinic close club college council county court cray crescent cushion day-centre dementia disease district drive
estate farm foods foundation fracture frame gardens grove gurdwara health healthcare heath heights hoist home homecare
hospice hospital hostel hotel house infirmary intermediate lane library limited lodge ltd lymphoma mansions mattress
medical mews mosque nursing palace palsy park pharmacy practice psychiatric pub rehab rehabilitation road rooms scale
school sclerosis score service services sling society square station street surgery synagogue syndrome team temple
terrace test towers tremor trust unit university valley village ward
""")
"""What stands before them with capital letters is a place, an organisation or a thing that bears somebody's name."""

KNOWN = _words("""
abbey act adcal addison addisons advice afghan afghanistan africa african airwave albania albanian aldi alexa
alzheimer alzheimer's alzheimers amazon america american amharic amlodipine anerley anglican apixaban apr arab arabic
arjo asda asia asian asperger aspergers aspirin atorvastatin attorney aug august bangladesh bangladeshi baptist
barking barre barrett barretts barthel beckenham bell bells bengali bexley bickley biggin biodose bisoprolol body
boots boxing braden bristol britain british bromley bsl buddhist bulgaria bulgarian buprenorphine butec calogen calpol
cantonese capacity care careline carelink carers caribbean catford catholic cavilon cetraben charcot chelsfield china
chinese chislehurst christian christmas church citalopram citizens clenil clexane codeine colles coma complan
conotrane continuing conveen cornwall court cray crohn crohns crossroads croydon crystal cushing cypriot cyprus czech
dagenham dari dartford dec december deprivation deptford derriford devon dial-a-ride digoxin diprobase diwali
donepezil dosette down downham downs dupuytren dupuytrens easter easy echo eid eliquis elizabeth's elmers eltham
england english ensure epaderm eritrea essex etac ethiopia europe european facebook farnborough farsi feb february
fentanyl filipino fortisip fostair france freedom french fri friday furosemide gabapentin gaviscon german germany
ghana ghanaian glasgow google gp graves gravesend greece greek greenwich guillain gujarati gurkha guy's guys halal
haloperidol hanukkah hausa hayes healthcare hindi hindu hodgkin hodgkins humulin hungarian hungary huntington
huntingtons ibuprofen igbo ilford india indian insulin ipad iphone iran iranian iraq ireland irish islam islamic
italian italy jamaica jamaican jan january jehovah jehovahs jewish judaism jul july jun kent keston kindle king's
kingdom kings korsakoff korsakoffs kosher kurdish lambeth lanka lankan lansoprazole lantus lasting latvia laxido
levothyroxine lewisham lewy liberty lidl lifeline lithuania lithuanian lloyds locksbottom london macmillan madopar
makaton mandarin mar march marie-tooth maslow mdt memantine mencap meniere menieres mental metformin methodist
mirtazapine molift mon monday morphine morrisons motability mottingham movicol muslim must nepal nepali netflix nhs
nigeria nigerian nightingale nimbus nomad norton nov november novorapid nutilis oakhouse oct october omeprazole
oramorph orpington orthodox ot oxford oyster paget pagets pakistan pakistani paracetamol parkinson parkinsons pashto
pendant penge pentecostal persian petts philippines plan plymouth poland polish portugal portuguese power pratts
pregabalin princess propad protection punjabi quaker queen quetiapine raiser ramadan ramipril rastafarian raynaud
raynauds repose return risperidone rockwood roman romania romanian romford rotunda royal russia russian safeguards
sainsbury sainsburys saint saints samaritans samsung sara sat saturday scope scotland scottish section senna sense sep
sept september sertraline sevenoaks shelter shortlands sidcup sikh simvastatin sinemet sjogren sjogrens sky skype
slovak somali somalia southwark spain spanish sri st stedy stool stratford sudocrem sun sunday superdrug surrey sussex
swanley sydenham symbicort syria syrian tagalog tamil telecare tesco thick thomas' thu thur thurs thursday tigrinya
tourette tourettes tue tues tuesday tunstall turkey turkish turner twi uber ukraine ukrainian united urdu velcro
venlink ventolin vietnam vietnamese waitrose wales warfarin waterlow wed wednesday welsh wendylett wernicke wernickes
whatsapp wiltshire witness witnesses yoruba zerobase zimmer zomorph zoom
""")
"""Days, places, peoples, faiths, illnesses, medicines, things and organisations."""

ORDINARY = _words("""
a about above accepts access accommodation active activities additional address admitted adult advised after afternoon
again against age aged agreed aids aim aims alarm all allergic allergies allergy allocated allow allowed almost alone
also although always am ambulant an and another answers anxious any anyone anything appears application appointment
approx approximately april apron aprons are area around arrange arrives as ask asked asks assessed assessment assist
assistance assisted assists assume at attends awaiting awake aware away baby back background bad baking bank bariatric
bath bathing bathroom be because bed bed-bound bedbound bedroom before began begin beginning behaviour being below
beside best better between big bilateral bingo bins bite bladder bleep blind blister blood body both bowel bowels bowl
break breakfast breathing brings broken brother bruises buccal bungalow bus but buzzer by bypass call called calls can
cannot capacity capsule capsules car cardiac care cared carer carers cares case cat cataract catheter cause chair
change changed changes charge chart charts check checked checks child childhood children chronic clean cleaning cleans
client clients close clothes clothing code codes cognition cognitive cold colostomy comes comfortable commencement
comments commode communicates communication community company complains complaint completes complex condition
conditions confirm confirmed confused confusion consent consents contact continence continent continues control
cooking cope copes could council couple cover covers covid cream creams current currently cut daily dark date daughter
day days deaf dear decision declined declines delirium delivery delusions dementia depressed depression details
diabetes diabetic diagnosed diagnoses diagnosis diet difficulty dinner direct disabled discharge discharged discussed
disease district dizzy do does dog dogs domestic done door doors dose doses double double-handed down dress dressed
dresses dressing dressings drink drinks drives due duration during duties duty dvt each early easy eating eats either
elderly electric else emergency empty encourage encouragement end ends enema enjoys ensure entry environment equipment
essential ethnic ethnicity even evening evenings every everyday everything except exercises expected expressed extra
extra-care eye eyes eyesight face fall fallen falls family fast father feed feeding feeds feels feet fell female few
fifteen find fire first five flat floor flow flu fluid fluids fob folder food foot for fork former found four
fractured frail frame frequency frequent frequently friend friends from front full fully funded funding further gait
gas gender general gentleman gently gets girl give given gives glasses glove gloves go goal goals goes going good grab
gradually grand ground group guidance guideline guidelines gym had half half-hour hall hand handling handover hands
happy hard has hat have having he head health hearing heart heater heating heavy height help helped helping helps her
here hers high hip his history hob hobbies hoist hoisted hold holds home hosiery hospital hot hour hours house
housebound household how however hygiene i if ill immediate impaired impairment important in incontinence incontinent
independent independently indoor infection informal information inhaler inhalers initial initially initials inject
injection injections inside instead insulin interests into is ischaemic isolated issues it its itself just keep keeps
key key-safe keys keysafe kidney kind kitchen knee known knows lady language large last late later lateral laundry
lead learning least leave leaves left leg lego legs let level life lift lifts light like likes limited line liquid
liquids list listen little live lives living local location locations lock locked long longer look looks loss lost lot
low lower lunch lunchtime main make makes making male man manage managed manages managing manual many married mashed
mask masks mat mats max maximum may meal meals means meantime meat medical medication medications medicine medicines
medium memory mental met midazolam might mild milk min minced mind mini minimal minimum minor minute minutes mixed
mobile mobilise mobilises mobility moderate moist money month months mood more morning mornings most mostly mother
move moved moves moving much mum must my name named near nearby nebuliser need needed needing needs neighbour nephew
never new next niece night nightly nights nil no nobody nocturnal non none nor normal normally not note notes nothing
notice now number nurse nurses nursing nutrition o obese objective objectives observe occasional occasionally
occupational occupier of off offer offered often ok old older on once one ongoing only open opens or oral order
orientated osteoarthritis osteoporosis other others otherwise our out outcome outcomes outdoor outdoors outside over
overnight overview own owned owner oxygen pack package packs pad pads pain painful pains palliative panel parents
parking part partially partner patch patches patient patients peg pendant people per period permanent person personal
pets phone physical physio physiotherapist physiotherapy place placed plan planned please polite poor possible
possibly post potential prefer preferred prefers preparation prepare present presenting presents pressure previous
previously primary prior priority problems process prompt prompting prompts prone property proposed protocol provide
provided provides pull pulled pureed purpose push pushed put quarter quiet quite race radio rails ramp range
reablement reach reaches ready reason reasons recent recently record red reduced refer referral referred refuses
regular regularly rehab relevant relies religion remain remains remember reminder reminders rented request requested
require required requirement requirements requires residential resides resource respiratory respite respond responds
rest resting result retired return returned returning review rheumatoid right risk risks room round routine run runs
safe safely safety said same sandwich schizophrenia seated second secondary see seen seizures self sensor sensors
sensory separate service services session sessions set seven several severe sex she sheet sheltered shoe shoes shop
shopping short should shower showering showers side sight sighted significant similar since single single-handed
sister sit sit-to-stand sits situation six sized skin sleep sleeps slide sling slippers slow slowly small smoke smoker
smokes snack so social soft solid solids some someone sometimes son soon speak speaks special specialist specific
speech stable staff stair stairlift stairs stand standing stands start start-date started starts status stay stays
steps stick still stockings stoma stool strip stroke strong struggles suction suffered suffers summary sundown support
supported supporting supportive supports suppositories surgery suspected swallow swallowing swimming switch system
table tablet tablets take taken takes taking talk tasks tea team telephone ten tend tends tenure terminal than that
the their them then therapist therapy there these they thick thickened things this those though three through
throughout time time-critical times timing timings tired to today toe together toilet toileting toilets told tolerate
tolerates tomorrow too total town track transfer transferred transfers transport treatment tries trip trips trolley tv
twice two type types ulcer unable under understand understands unit unless unlikely unmet unstable unsteady until
unwell up upon upper upstairs ureteric urgent urgently urinary urine us use used user uses using usual usually vaccine
vaccines various vascular very via video visit visited visits visual visually vulnerable wait waiting wake wakes walk
walker walking walks wandering wants ward warden warm was wash washed washes washing watch water way we weak weakness
wear wearing wears week weekdays weekend weekends weekly weeks weight welcome well went were wet what wheelchair when
whenever where which while who whole whose why widow widowed wife will willing window wish wishes with within without
woman work worker works world would wound wounds year years yes yesterday yet you young your zero zip
""")
"""What stands in a referral with a capital letter because a sentence, a heading or a line of a form begins with it."""

POSTCODE_AREAS = _words("""
ab al b ba bb bd bh bl bn br bs bt ca cb cf ch cm co cr ct cv cw da dd de dg dh dl dn dt dy e ec eh en ex fk fy g gl
gu gy ha hd hg hp hr hs hu hx ig im ip iv je ka kt kw ky l la ld le ll ln ls lu m me mk ml n ne ng nn np nr nw ol ox
pa pe ph pl po pr rg rh rm s sa se sg sk sl sm sn so sp sr ss st sw sy ta td tf tn tq tr ts tw ub w wa wc wd wf wn wr
ws wv yo ze
""")
"""The letters with which a postcode begins."""

NO_STREET = _words("""
a am and are at bed bedroom bedrooms beds bus call calls carer carers day days double floor for from handed hour hours
hr hrs in is m metre metres mile miles min mins minute minutes month months of on or people per person pm single stair
stairs step steps the times to train visit visits week weeks with x year years
""")
"""Between a figure and *road* they make no address."""

NO_NAME = _words("""
a an anonymised anonymous at available he held her his in known na no none not on redacted removed see she tbc the
their to unknown with withheld yes
""")
"""Behind *name:* they name nobody."""

BEFORE_MONTH = _words("""
after and before by during early end from in last late mid next of since this to until
""")
"""Behind them *May* is a month."""

BEFORE_LETTER = _words("""
band bay block category flat grade group hepatitis level plan room type unit vitamin ward
""")
"""Behind them a letter is no initial."""
