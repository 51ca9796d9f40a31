/** A question with a short answer that a program can check. */
export interface Question {
    prompt: string;
    /** A regular expression, without regard to case: an answer in which it is found is right. */
    expect: string;
}

/**
 * Asked of both apps where no file of one's own is given: facts, arithmetic, form, languages. Any instruct model of some
 * billion parameters knows most of them; that a revision is broken shows, that it is a little worse does not.
 */
export const questions: Question[] = [
    { prompt: "What is the capital of France? Answer with one word.", expect: "paris" },
    { prompt: "What is 17 + 25? Answer with the number alone.", expect: "\\b42\\b" },
    { prompt: "What is 12 times 12? Answer with the number alone.", expect: "\\b144\\b" },
    { prompt: "What is 100 - 37? Answer with the number alone.", expect: "\\b63\\b" },
    { prompt: "How many days does a leap year have? Answer with the number alone.", expect: "\\b366\\b" },
    { prompt: "What is the chemical symbol of gold? Answer with the symbol alone.", expect: "\\bau\\b" },
    { prompt: "Which planet is the largest of the solar system? One word.", expect: "jupiter" },
    { prompt: "Who wrote Romeo and Juliet? Answer with the family name alone.", expect: "shakespeare" },
    { prompt: "In which year did the Berlin wall fall? Answer with the year alone.", expect: "\\b1989\\b" },
    { prompt: "What is the opposite of hot? One word.", expect: "\\bcold\\b" },
    { prompt: "Translate into French, one word: house", expect: "maison" },
    { prompt: "Translate into German, one word: water", expect: "wasser" },
    { prompt: "Translate into Spanish, one word: cat", expect: "gat[oa]" },
    { prompt: "Translate into English, one word: chien", expect: "\\bdog\\b" },
    {
        prompt: 'Write the JSON object with the key "ok" and the value true, nothing else.',
        expect: '\\{\\s*"ok"\\s*:\\s*true\\s*\\}',
    },
    { prompt: "Write the word banana in capital letters, nothing else.", expect: "banana" },
    { prompt: "Spell the word cat backwards, nothing else.", expect: "\\btac\\b" },
    { prompt: "Which number follows: 2, 4, 8, 16? Answer with the number alone.", expect: "\\b32\\b" },
    { prompt: "How many letters has the English alphabet? Answer with the number alone.", expect: "\\b26\\b" },
    { prompt: "Is 17 a prime number? Answer yes or no.", expect: "\\byes\\b" },
    { prompt: "Is the sun a planet? Answer yes or no.", expect: "\\bno\\b" },
    { prompt: "What do bees make? One word.", expect: "honey" },
    { prompt: "Which HTTP status means that something was not found? The number alone.", expect: "\\b404\\b" },
    { prompt: "In Python, which keyword begins the definition of a function? One word.", expect: "\\bdef\\b" },
];
